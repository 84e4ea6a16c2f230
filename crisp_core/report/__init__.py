"""The report: one page that opens offline, with a viewer of the picks."""
