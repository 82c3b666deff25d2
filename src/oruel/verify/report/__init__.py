"""Reports of a run: as JSON, as one HTML file, and as JUnit XML for CI."""
