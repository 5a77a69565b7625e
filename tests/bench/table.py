"""Print figures as a table."""


def show(rows):
    columns = list(rows[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    for row in rows:
        cells = [f"{row[each]:.3g}" if isinstance(row[each], float) else str(row[each]) for each in columns]
        print("| " + " | ".join(cells) + " |", flush=True)
