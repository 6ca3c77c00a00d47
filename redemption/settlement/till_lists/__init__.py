"""Lists of point-of-sale systems: CSV, spreadsheets' CSV and JSON, read into bills."""
