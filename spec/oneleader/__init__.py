"""At most one leader, and proof of it: models of Raft, what reads them, and checks for anybody's Raft."""
