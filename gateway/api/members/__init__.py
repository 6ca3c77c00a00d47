"""What a member's app calls: balance, benefits, codes, devices, activity, live notices."""
