"""How good predictions of DensePose are."""
