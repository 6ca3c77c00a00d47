"""What the endpoints of terminals share: parsing, validation and serialization of scans."""
