package main

import (
	"math"
	"time"
)

// A stock is a share that does not exist. Its price is a function of the time alone, so that any server
// of a cluster has the same feed, and the past without having kept it.
type stock struct {
	Symbol, Name string
	base         float64 // about what it costs
	nerves       float64 // how much it moves; 1 is usual
	seed         uint64
}

// market returns the stocks there are.
func market() []stock {
	list := []stock{
		{Symbol: "BEAN", Name: "Beanpole Foods", base: 128.40, nerves: 1},
		{Symbol: "TRLS", Name: "Trellis & Sons", base: 54.15, nerves: 0.7},
		{Symbol: "ACRN", Name: "Acorn Storage", base: 312.80, nerves: 0.8},
		{Symbol: "MOSS", Name: "Moss Textiles", base: 21.35, nerves: 1.5},
		{Symbol: "HIVE", Name: "Hive Logistics", base: 87.60, nerves: 1.2},
		{Symbol: "FERN", Name: "Fern Pharma", base: 196.20, nerves: 1.8},
		{Symbol: "OTTR", Name: "Otter Shipping", base: 43.90, nerves: 1.1},
		{Symbol: "LARK", Name: "Lark Audio", base: 72.05, nerves: 1.4},
		{Symbol: "PLUM", Name: "Plum Devices", base: 241.55, nerves: 1.3},
		{Symbol: "REED", Name: "Reed Paper", base: 16.80, nerves: 0.9},
	}
	for i := range list {
		list[i].seed = uint64(i+1) * 0x9e3779b97f4a7c15
	}
	return list
}

// waves are what a price is made of: how long a wave is and how high, as a share of the price.
var waves = [...]struct {
	length time.Duration
	height float64
}{
	{3 * time.Hour, 0.050},
	{20 * time.Minute, 0.018},
	{4 * time.Minute, 0.008},
	{45 * time.Second, 0.0042},
	{9 * time.Second, 0.0016},
	{1700 * time.Millisecond, 0.0006},
	{300 * time.Millisecond, 0.00025},
	{60 * time.Millisecond, 0.00024},
}

// price returns the price at that time, rounded to cents.
func (s stock) price(at time.Time) float64 {
	sum := 0.0
	for i, w := range waves {
		sum += w.height * noise(s.seed+uint64(i)<<32, float64(at.UnixMilli())/float64(w.length.Milliseconds()))
	}
	return math.Round(s.base*math.Exp(s.nerves*sum)*100) / 100
}

// open returns the price at the last midnight, UTC.
func (s stock) open(at time.Time) float64 { return s.price(at.UTC().Truncate(24 * time.Hour)) }

// noise returns a smooth random function of x, from -1 to 1.
func noise(seed uint64, x float64) float64 {
	whole, part := math.Modf(x)
	a, b := random(seed, uint64(whole)), random(seed, uint64(whole)+1)
	return a + (b-a)*part*part*(3-2*part)
}

// random returns a number from -1 to 1 that depends on seed and n alone.
func random(seed, n uint64) float64 {
	x := seed ^ (n * 0xbf58476d1ce4e5b9)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11)/(1<<52) - 1
}
