"""Which preset fits a team, from four answers and the measured ablation."""
