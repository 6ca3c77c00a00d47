"""Settlement statements as JSON, CSV, XLSX and PDF, in Chinese and English."""
