"""What a point-of-sale system sends: CSV, spreadsheets' CSV and JSON, read into bills."""
