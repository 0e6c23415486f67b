"""python -m tests.promise: every cell that is not recorded yet; --table only writes the table."""

import argparse

from tests.promise import campaign


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="store_true", help="write the table and nothing else")
    parser.add_argument("--again", action="store_true", help="forget what is recorded")
    args = parser.parse_args()
    finished = [] if args.again else campaign.read_record()
    known = {(cell["shape"], cell["rows"]) for cell in finished}
    for shape, rows in [] if args.table else campaign.cells():
        if (shape, rows) not in known:
            finished.append(campaign.run_cell(shape, rows, range(campaign.DRAWS)))
            campaign.write_record(finished)
            print(finished[-1] if finished[-1]["shape"] == shape else (shape, rows), flush=True)
    campaign.write_record(finished)


if __name__ == "__main__":
    main()
