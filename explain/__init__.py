"""Why a model leans to a label: SHAP and LIME for tables, texts and images. Knows no database and no screen."""
