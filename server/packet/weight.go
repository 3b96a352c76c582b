package packet

import (
	"reflect"
	"unsafe"
)

// Weight is what variables of some type take for each part of the JSON that is decoded into them, in bytes and at
// most: a text of a million bytes may be half a million numbers, or a hundred thousand objects, and each of these
// takes what the type makes of it. The zero Weight is that of strings, whose bytes are in the text.
type Weight struct {
	element int // of an array
	member  int // of an object
	object  int
}

// What Go's maps and slices take: a map's header, the eight places of its first group and their control word, and the
// share that grows in vain.
const (
	mapHeader = 48
	mapPlaces = 8
	mapWord   = 8
	maxInside = 128 // bytes of a key or a value that is not apart

	pointerSize = int(unsafe.Sizeof(uintptr(0)))
)

// WeightOf returns the weight of variables of type t. What decodes itself (json.Unmarshaler) is not looked into.
func WeightOf(t reflect.Type) Weight { return weigh(t, map[reflect.Type]bool{}) }

// Max returns the larger of both in each part.
func (w Weight) Max(o Weight) Weight {
	return Weight{max(w.element, o.element), max(w.member, o.member), max(w.object, o.object)}
}

// Of returns what the valid JSON text data takes, its strings included.
func (w Weight) Of(data []byte) int {
	if w == (Weight{}) {
		return len(data)
	}
	elements, members, objects := 0, 0, 0
	for i := 0; i < len(data); {
		switch data[i] {
		case '"':
			if i = skipString(data, i+1); i < 0 {
				return len(data)
			}
			continue
		case '{', '[':
			if next := space(data, i+1); next < len(data) && data[next] == data[i]+2 {
				break // nothing in it; see scan
			}
			elements++
			if data[i] == '{' {
				objects++
			}
		case ',':
			elements++
		case ':':
			members++
		}
		i++
	}
	elements -= members // which have been counted as such
	return len(data) + elements*w.element + members*w.member + objects*w.object
}

// AtMost returns what Of returns for no text of so many bytes more than: an element has two of them, as in "0,", a
// member five, as in `"":0,`, and an object seven, as in `{"":0},`.
func (w Weight) AtMost(length int) int {
	return length + (length/2+1)*w.element + (length/5+1)*w.member + (length/7+1)*w.object
}

func weigh(t reflect.Type, seen map[reflect.Type]bool) (w Weight) {
	if t.Kind() == reflect.Interface { // a map of any, or a slice
		key, value := reflect.TypeFor[string](), reflect.TypeFor[any]()
		return Weight{element: place(value), member: pair(key, value), object: group(key, value)}
	}
	if seen[t] || speaks(t) {
		return w
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer:
		w = weigh(t.Elem(), seen)
		w.member = max(w.member, beyond(t))
	case reflect.Array: // its places are its holder's
		w = weigh(t.Elem(), seen)
		w.element = max(w.element, beyond(t.Elem()))
	case reflect.Slice:
		w = weigh(t.Elem(), seen)
		w.element = max(w.element, place(t.Elem()))
	case reflect.Map:
		w = weigh(t.Elem(), seen)
		w.member = max(w.member, pair(t.Key(), t.Elem()))
		w.object = max(w.object, group(t.Key(), t.Elem()))
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() || f.Anonymous {
				w = w.Max(weigh(f.Type, seen))
			}
		}
	}
	return w
}

// place is what one value of type t takes in a slice that grows, with what it points to.
func place(t reflect.Type) int { return int(t.Size())*5/4 + beyond(t) }

// beyond is what one value of type t takes outside of its place: what it points to, through other pointers too.
func beyond(t reflect.Type) (n int) {
	for range maxPointers {
		if t.Kind() != reflect.Pointer {
			break
		}
		t = t.Elem()
		n += int(t.Size())
	}
	if t.Kind() == reflect.Map || t.Kind() == reflect.Interface {
		n += mapHeader // or a slice's, a number, or a string
	}
	return n
}

// group is what a map takes beside its header once something is in it.
func group(key, value reflect.Type) int { return mapWord + mapPlaces*(inside(key)+inside(value)) }

// pair is what one more in a map takes, of which as many places may be empty.
func pair(key, value reflect.Type) int {
	return 2*(inside(key)+inside(value)) + outside(key) + outside(value)
}

// inside and outside are what a key or a value takes in its place of a map, and what it has of its own.
func inside(t reflect.Type) int {
	if t.Size() > maxInside {
		return pointerSize
	}
	return int(t.Size())
}

func outside(t reflect.Type) (n int) {
	if t.Size() > maxInside {
		n = int(t.Size())
	}
	return n + beyond(t)
}
