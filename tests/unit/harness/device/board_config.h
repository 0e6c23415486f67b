/* What a board file would set; the tests pass -D instead. */
