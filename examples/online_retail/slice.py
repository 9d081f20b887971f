"""Cuts the slice in this folder out of the complete Online Retail table.

usage: python3 slice.py <complete table, .csv.gz> <slice, .csv.gz>

Kept are, in the order of the file and unchanged: every row of every customer whose number is
divisible by 7, cancellations and service codes included; and of the rows without a customer those
whose invoice number is divisible by 50. Whole customers are kept over the whole year, so that a
split by time finds the same people on both sides.
"""

import csv
import gzip
import io
import sys


def kept(row):
    customer = row["CustomerID"]
    if customer:
        return int(customer) % 7 == 0
    digits = row["InvoiceNo"].lstrip("AC")
    return int(digits) % 50 == 0


def main(source, target):
    text = io.StringIO(newline="")
    with gzip.open(source, "rt", encoding="utf-8", newline="") as rows:
        reader = csv.DictReader(rows)
        writer = csv.DictWriter(text, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in reader if kept(row))
    with open(target, "wb") as file:
        # No name and no time in the header: the same rows give the same bytes.
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(text.getvalue().encode("utf-8"))


if __name__ == "__main__":
    main(*sys.argv[1:])
