package limit

import "net/netip"

// Networks of IPv6 whose addresses hold one of IPv4, which is then the client's. Behind a translator all of
// IPv4 would have one network of 64 bits, behind 6to4 one address of IPv4 has 65,536.
var (
	translated = netip.MustParsePrefix("::ffff:0:0:0/96") // RFC 2765 section 2.1
	nat64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052 section 2.1
	nat64Local = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215; where in it is for the network to say
	sixToFour  = netip.MustParsePrefix("2002::/16")       // RFC 3056 section 2
	teredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380 section 4
)

// Address returns the key that the limits of one client's address count by: the address, of IPv6 its first
// 64 bits, unless it holds an address of IPv4, which counts then. What is no address is its own key.
func Address(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	ip = ip.WithZone("")
	b := ip.As16()
	switch {
	case translated.Contains(ip), nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:])).String()
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:])).String()
	case teredo.Contains(ip):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}).String()
	case nat64Local.Contains(ip):
		return ip.String() // one for each address of IPv4, wherever in it that is
	}
	net, _ := ip.Prefix(64) // 64 bits are always there
	return net.String()
}

// Networks returns the keys of the networks that addr is in, the widest first and Address last: of IPv4 those of 16
// and 24 bits, of IPv6 those of 32 and 48. Who has many addresses has few of these.
func Networks(addr string) [3]string {
	key := Address(addr)
	all := [...]string{key, key, key}
	wide, narrow := 16, 24
	ip, err := netip.ParseAddr(key)
	if err != nil {
		net, err := netip.ParsePrefix(key)
		if err != nil {
			return all
		}
		ip = net.Addr()
	}
	if ip.Is6() {
		wide, narrow = 32, 48
	}
	for i, bits := range []int{wide, narrow} {
		net, _ := ip.Prefix(bits) // it has as many
		all[i] = net.String()
	}
	return all
}
