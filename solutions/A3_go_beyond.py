"""Solutions of appendix A3."""


def look_again(encode, decode, picture, rounds, share):
    wanted = codes = encode(picture)
    for _ in range(rounds):
        codes = codes + share * (wanted - encode(decode(codes)))
    return codes


trade = {"nearest": "projected", "edited": "encoder"}
