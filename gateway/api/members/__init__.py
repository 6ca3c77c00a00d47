"""Operations of a member's app: balance, benefits, codes, devices, activity, live notices."""
