"""Train AEF in both frameworks, step by step."""
