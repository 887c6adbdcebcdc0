"""Evaluation of a trained model, one module per evaluator."""
