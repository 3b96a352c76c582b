package main

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// bars are the groups of the picture: all are better when lower.
var bars = []struct{ title, scenario, metric string }{
	{"memory,\nidle WebSocket", "websocket", "bytes after gc"},
	{"memory,\nidle polling", "polling", "bytes after gc"},
	{"CPU,\nconnect", "websocket", "connect us"},
	{"CPU, echo\n1 outstanding", "echo", "w1 us"},
	{"CPU, echo\n16 outstanding", "echo", "w16 us"},
	{"CPU,\necho 1 KiB", "echo", "1k us"},
	{"CPU,\npolling echo", "polling-echo", "poll us"},
	{"CPU, broadcast\nto 1,000", "broadcast", "all us"},
	{"CPU, broadcast\nto 10,000", "websocket", "all us"},
	{"CPU,\nrooms", "websocket", "room us"},
}

// colours of the servers; they differ in lightness too.
var colours = []struct {
	server string
	colour color.Color
}{
	{"node", color.RGBA{0x3c, 0x87, 0x3a, 0xff}},
	{"beanpole", color.RGBA{0x8b, 0x4a, 0x2b, 0xff}},
	{"limit", color.RGBA{0xb8, 0xb8, 0xb8, 0xff}},
	{"zishang", color.RGBA{0x6a, 0x8c, 0xc7, 0xff}},
}

// draw draws the servers' figures as shares of Node's.
func draw(r *results, file string) error {
	p := plot.New()
	p.Title.Text = "Cost per session, message or delivery, as a share of Node's (lower is better)"
	p.Y.Label.Text = "Node = 1"
	p.Y.Min, p.Y.Max = 0, 3
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding, p.Legend.XOffs = vg.Points(3), vg.Points(250)
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		style.Font.Variant = "Sans"
	}
	width := vg.Points(14)
	titles := make([]string, 0, len(bars))
	for i, c := range colours {
		var values plotter.Values
		titles = titles[:0]
		for _, b := range bars {
			if _, ok := r.median(b.scenario, "node", b.metric); !ok {
				continue
			}
			v, _ := r.ratio(b.scenario, b.metric, c.server, "node") // what was not measured has no bar
			values = append(values, min(v, p.Y.Max))
			titles = append(titles, b.title)
		}
		if len(values) == 0 {
			return fmt.Errorf("nothing to draw: Node was not measured")
		}
		chart, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		chart.Color, chart.LineStyle.Width = c.colour, 0
		chart.Offset = width * vg.Length(float64(i)-1.5)
		p.Add(chart)
		p.Legend.Add(c.server, chart)
	}
	p.NominalX(titles...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return p.Save(vg.Points(1000), vg.Points(380), file)
}
