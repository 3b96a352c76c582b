package packet

import (
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// bytesHeld returns how many bytes are held by what f returns.
func bytesHeld(f func() any) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := int(after.HeapAlloc) - int(before.HeapAlloc)
	runtime.KeepAlive(v)
	return n
}

// The weight of a text is at least what it takes when it is decoded, and not many times as much.
func TestWeightIsWhatATextTakes(t *testing.T) {
	type large struct {
		Name string
		Rest [25]int
	}
	type list struct {
		Next *list
		Rest [10]int
	}
	for _, c := range []struct {
		into             reflect.Type
		head, unit, tail string
	}{
		{reflect.TypeFor[any](), "[0", ",1", "]"},
		{reflect.TypeFor[any](), "[0", ",[]", "]"},
		{reflect.TypeFor[any](), "[0", ",{}", "]"},
		{reflect.TypeFor[any](), "[0", `,""`, "]"},
		{reflect.TypeFor[any](), "[0", `,"x,y:z[{"`, "]"},
		{reflect.TypeFor[any](), "[0", `,{"a":1}`, "]"},
		{reflect.TypeFor[any](), "[0", `,{"a":[],"b":[],"c":{"d":0}}`, "]"},
		{reflect.TypeFor[any](), "[0", `,[[[[]]]]`, "]"},
		{reflect.TypeFor[[]any](), "[0", ",1", "]"},
		{reflect.TypeFor[[]float64](), "[0", ",1", "]"},
		{reflect.TypeFor[[][]float64](), "[[]", ",[1]", "]"},
		{reflect.TypeFor[[]large](), "[{}", ",{}", "]"},
		{reflect.TypeFor[[]large](), "[{}", `,{"Name":"x"}`, "]"},
		{reflect.TypeFor[[]*large](), "[{}", ",{}", "]"},
		{reflect.TypeFor[[]list](), "[{}", `,{"Next":{"Next":{}}}`, "]"},
		{reflect.TypeFor[[]map[string]int](), "[{}", `,{"a":1}`, "]"},
		{reflect.TypeFor[[]map[string]any](), "[{}", `,{"a":1,"b":{}}`, "]"},
		{reflect.TypeFor[[]map[string]large](), "[{}", `,{"a":{}}`, "]"},
		{reflect.TypeFor[[]struct{ A, B, C *large }](), "[{}", `,{"A":{},"B":{},"C":{}}`, "]"},
		{reflect.TypeFor[[]**large](), "[{}", ",{}", "]"},
		{reflect.TypeFor[[][2]*large](), "[[]", ",[{},{}]", "]"},
		{reflect.TypeFor[[]*[2]**large](), "[[]", ",[{},{}]", "]"},
		{reflect.TypeFor[[]struct{ At [4]*large }](), "[{}", `,{"At":[{},{},{},{}]}`, "]"},
		{reflect.TypeFor[[]struct{ A, B **large }](), "[{}", `,{"A":{},"B":{}}`, "]"},
		{reflect.TypeFor[map[string]**large](), `{"":{}`, `,"%d":{}`, "}"},
		{reflect.TypeFor[[]*any](), "[0", ",1", "]"},
	} {
		t.Run(fmt.Sprint(c.into, c.unit), func(t *testing.T) {
			data := []byte(c.head)
			for i := range 20_000 {
				data = append(data, strings.ReplaceAll(c.unit, "%d", strconv.Itoa(i))...)
			}
			data = append(data, c.tail...)
			weight := WeightOf(c.into).Of(data)
			if most := WeightOf(c.into).AtMost(len(data)); most < weight {
				t.Errorf("%d bytes weigh %d, which is more than %d", len(data), weight, most)
			}
			took := bytesHeld(func() any {
				v := reflect.New(c.into)
				if err := Decode(data, nil, v.Interface()); err != nil {
					t.Fatal(err)
				}
				return v
			})
			t.Logf("%d bytes take %d, weight %d", len(data), took, weight)
			if weight < took*3/4 || weight > 8*took+4*len(data) {
				t.Errorf("%d bytes take %d, weight %d", len(data), took, weight)
			}
		})
	}
}
