"""What tests of the chart share: it is rendered, read as objects, checked against schemas, simulated and booted."""
