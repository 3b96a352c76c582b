// Package house keeps the rules of the project that no compiler knows: which package may import which,
// that each says what it is for, and that what the documents show compiles. It has tests only.
package house
