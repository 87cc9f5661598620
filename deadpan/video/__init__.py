"""Video -> its faces, followed over time and compared with the same person's face at rest."""
