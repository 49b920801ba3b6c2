"""Why a verdict came out as it did, in a form that a person can check."""
