"""What all folders share and nobody owns: the models of the files people write, and the frozen records that cross."""
