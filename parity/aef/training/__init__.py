"""Training AEF in both frameworks, step by step."""
