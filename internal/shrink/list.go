package shrink

// First takes the first of a list that is not empty. Nothing of it is kept: what is cut off a list's front stays in memory
// as long as the list does.
func First[T any](list *[]T) T {
	var none T
	l := *list
	first := l[0]
	l[0] = none
	if l = l[1:]; len(l) == 0 {
		l = nil
	}
	*list = l
	return first
}
