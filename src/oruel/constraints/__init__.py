"""What may come next: token masks from llguidance, and the way out when the budget runs short."""
