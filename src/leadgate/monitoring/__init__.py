"""Whether the data, the scores, the model, the system and the business are still as they were."""
