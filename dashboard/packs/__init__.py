"""The same answers on paper: a board paper (PDF), a QBR deck (PPTX), a finance workbook (XLSX). No browser needed."""
