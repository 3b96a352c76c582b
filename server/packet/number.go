package packet

import (
	"math"
	"strconv"
)

// appendFloat appends f as JavaScript writes numbers (ECMA-262, Number::toString). f is finite.
func appendFloat(dst []byte, f float64, bitSize int) []byte {
	abs := math.Abs(f)
	format := byte('f')
	if abs != 0 && (bitSize == 64 && (abs < 1e-6 || abs >= 1e21) ||
		bitSize == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bitSize)
	if n := len(dst); format == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is e-9
		dst = dst[:n-1]
	}
	return dst
}

// integer reports whether raw is an integer as JavaScript would write it: no fraction, no exponent,
// no -0.
func integer(raw []byte) bool {
	if len(raw) == 0 || len(raw) > 15 || string(raw) == "-0" {
		return false
	}
	if raw[0] == '-' {
		raw = raw[1:]
	}
	return len(raw) > 0 && digits(raw, 0) == len(raw)
}
