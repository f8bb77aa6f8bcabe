"""Models behind one Predictor: training, loading, batching, devices and calibration. Knows no database and no screen."""
