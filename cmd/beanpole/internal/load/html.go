package load

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"

	"github.com/go-analyze/charts"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Parse(page))

// HTML writes the report as one page, with plots, that needs nothing else.
func (x *Report) HTML(w io.Writer) error {
	raw, err := json.Marshal(x)
	if err != nil {
		return err
	}
	data := struct {
		*Report
		Lines   []line
		Tallies []string
		Plots   []plot
		JSON    string
	}{Report: x, Lines: x.lines(), Tallies: x.tallies(), JSON: string(raw)}
	if data.Plots, err = x.plots(); err != nil {
		return err
	}
	return pageTemplate.Execute(w, data)
}

type plot struct {
	Title string
	SVG   template.HTML
}

// plots draws the points.
func (x *Report) plots() (list []plot, err error) {
	if len(x.Points) < 2 {
		return nil, nil
	}
	draw := func(title string, names []string, values func(Point) []float64) {
		if err != nil {
			return
		}
		series := make([][]float64, len(names))
		var labels []string
		for _, p := range x.Points {
			for i, v := range values(p) {
				series[i] = append(series[i], v)
			}
			labels = append(labels, fmt.Sprintf("%.0f s", p.At))
		}
		o := charts.NewLineChartOptionWithData(series)
		o.Legend.SeriesNames, o.XAxis.Labels = names, labels
		o.Symbol, o.LineStrokeWidth = charts.Symbol{Shape: charts.SymbolNone}, 1.5
		c := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 900, Height: 260})
		var svg []byte
		if err = c.LineChart(o); err == nil {
			svg, err = c.Bytes()
		}
		list = append(list, plot{title, template.HTML(svg)}) //nolint:gosec // of numbers and the names here
	}
	draw("Sessions", []string{"connected"}, func(p Point) []float64 { return []float64{float64(p.Sessions)} })
	for _, k := range []struct {
		what string
		m    *Messages
		of   func(Point) Moment
	}{
		{"Acknowledgements", x.Events, func(p Point) Moment { return p.Events }},
		{"Deliveries", x.Broadcasts, func(p Point) Moment { return p.Broadcasts }},
	} {
		if k.m == nil {
			continue
		}
		draw(k.what+" a second", []string{"arrived"}, func(p Point) []float64 { return []float64{k.of(p).Rate} })
		draw(k.what+": latency in milliseconds", []string{"p50", "p99", "max"}, func(p Point) []float64 {
			if k.of(p).Rate == 0 {
				return []float64{charts.GetNullValue(), charts.GetNullValue(), charts.GetNullValue()}
			}
			return []float64{k.of(p).P50, k.of(p).P99, k.of(p).Max}
		})
	}
	return list, err
}
