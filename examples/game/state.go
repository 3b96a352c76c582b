package main

import "encoding/binary"

// Positions and speeds travel in sixteenths of a step.
const scale = 16

// appendState appends the state of the world as the page reads it with a DataView, little endian:
//
//	uint32 the number of the state
//	uint8  how many beans, then for each: uint16 x, uint16 y
//	uint16 how many players, then for each:
//	       uint32 id, uint16 x, uint16 y, int16 vx, int16 vy, uint16 score, uint16 ack
func appendState(b []byte, number uint32, taken []uint16, players []*Player) []byte {
	le := binary.LittleEndian
	b = le.AppendUint32(b, number)
	b = append(b, byte(len(taken)))
	for i, n := range taken {
		x, y := place(i, n)
		b = le.AppendUint16(b, uint16(x*scale))
		b = le.AppendUint16(b, uint16(y*scale))
	}
	b = le.AppendUint16(b, uint16(len(players)))
	for _, p := range players {
		b = le.AppendUint32(b, p.ID)
		b = le.AppendUint16(b, uint16(p.X*scale))
		b = le.AppendUint16(b, uint16(p.Y*scale))
		b = le.AppendUint16(b, uint16(int16(p.VX*scale)))
		b = le.AppendUint16(b, uint16(int16(p.VY*scale)))
		b = le.AppendUint16(b, uint16(p.Score))
		b = le.AppendUint16(b, p.Ack)
	}
	return b
}

// parseInput reads what the page sends twenty times a second: uint16 seq, int8 x, int8 y.
func parseInput(b []byte) (input, bool) {
	if len(b) != 4 {
		return input{}, false
	}
	return input{
		seq: binary.LittleEndian.Uint16(b),
		x:   max(-1, float64(int8(b[2]))/127),
		y:   max(-1, float64(int8(b[3]))/127),
	}, true
}
