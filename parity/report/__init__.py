"""Write a comparison as a table in the terminal, as JSON, as JUnit XML and as one HTML file."""
