"""Operations that move elements: shapes, joining, indexing, sorting, padding."""
