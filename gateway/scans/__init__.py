"""What the endpoints of terminals share: parsing, validation and schemas of scans."""
