// Package near finds the name that was probably meant.
package near

// Name returns the one of names that is fewer than within letters away from name, and the nearest, or "".
func Name(name string, names []string, within int) string {
	best, least := "", within
	for _, n := range names {
		if d := Distance(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// Distance returns how many letters have to be changed, added or taken away to make b of a.
func Distance(a, b string) int {
	row := make([]int, len(b)+1) // of the letters of a so far
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			before, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, before+cost)
		}
	}
	return row[len(b)]
}
