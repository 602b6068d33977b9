"""Prompt to budget: metrics, curves, the plateau and the BiLSTM. Pure, no Django."""
