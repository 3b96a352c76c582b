package packet

import (
	"encoding/json"
	"math/big"
	"reflect"
	"testing"
	"time"
)

type tree struct {
	Left, Right *tree
	Leaf        []byte
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		v    any
		want int
	}{
		{1, binaryNowhere}, {time.Time{}, binaryNowhere}, {&big.Int{}, binaryNowhere}, {json.RawMessage{}, binaryNowhere},
		{struct{ T time.Time }{}, binaryNowhere}, {struct{ hidden any }{}, binaryNowhere}, {[4]byte{}, binaryNowhere}, {message{}, binaryNowhere},
		{tree{}, binaryExact}, {map[int][][]byte{}, binaryExact}, {json.Number(""), binaryExact},
		{struct{ A any }{}, binaryAnywhere}, {struct{ B blob }{}, binaryAnywhere}, {struct{ inner }{}, binaryAnywhere}, {map[int]any{}, binaryAnywhere},
		{new(any), binaryAnywhere}, {[]struct{ A any }{}, binaryAnywhere}, {[]json.RawMessage{}, binaryNowhere},
		{blob{}, binaryItself}, {object{}, binaryBelow}, {[]error{}, binaryBelow}, {[]blob{}, binaryBelow}, {map[key]object{}, binaryBelow},
	} {
		if got := holds(reflect.TypeOf(c.v)); got != c.want {
			t.Errorf("holds(%T) = %d, want %d", c.v, got, c.want)
		}
	}
}
