"""Networks that look at faces and are no part of pSp: they find them, divide them into parts, and measure them."""
