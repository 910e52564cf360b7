"""What vm-tests/run is made of: `network` joins machines, `container` boots one, `machine` is what a test.py sees of it, and
`scenario` puts them together. The machines know nothing of cache-server but its programs."""
