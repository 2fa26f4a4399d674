"""gradcheck itself: each check is checked by planted bugs."""
