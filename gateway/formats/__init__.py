"""Text and files that several rooms write: money, spreadsheets, tables for a terminal."""
