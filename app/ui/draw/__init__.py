"""Cases, reasons and figures as HTML. Everything that comes from a case is escaped here, and nothing here knows Streamlit."""
