//! Capture files made by hand: TCP segments in IPv4 in Ethernet, in the classic pcap format
//! (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>).

const LINKTYPE_ETHERNET: u32 = 1;
const SNAPLEN: u32 = 262_144;
const IP_TCP: u8 = 6;
const FLAGS_PSH_ACK: u8 = 0x18;
const CLIENT: [u8; 4] = [127, 0, 0, 2];
const SERVER: [u8; 4] = [127, 0, 0, 1];

/// A capture file in the making.
pub(crate) struct Pcap {
    file: Vec<u8>,
    server_port: u16,
    packets: u32,
}

impl Pcap {
    /// A file with no packet yet. All packets go to `server_port`.
    pub(crate) fn new(server_port: u16) -> Self {
        let mut file = Vec::new();
        file.extend(0xa1b2_c3d4_u32.to_le_bytes());
        file.extend(2u16.to_le_bytes());
        file.extend(4u16.to_le_bytes());
        file.extend([0; 8]);
        file.extend(SNAPLEN.to_le_bytes());
        file.extend(LINKTYPE_ETHERNET.to_le_bytes());
        Pcap { file, server_port, packets: 0 }
    }

    /// Adds a stream from `client_port`, a packet for each of `segments`.
    pub(crate) fn add_stream<'a>(
        &mut self,
        client_port: u16,
        segments: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let mut sequence = 1u32;
        for segment in segments {
            let packet = self.packet(client_port, sequence, segment);
            // A packet a millisecond.
            self.file.extend((self.packets / 1_000).to_le_bytes());
            self.file.extend((self.packets % 1_000 * 1_000).to_le_bytes());
            self.file.extend((packet.len() as u32).to_le_bytes());
            self.file.extend((packet.len() as u32).to_le_bytes());
            self.file.extend(packet);
            self.packets += 1;
            sequence += segment.len() as u32;
        }
    }

    /// The file's bytes.
    pub(crate) fn into_file(self) -> Vec<u8> {
        self.file
    }

    fn packet(&self, client_port: u16, sequence: u32, segment: &[u8]) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(client_port.to_be_bytes());
        tcp.extend(self.server_port.to_be_bytes());
        tcp.extend(sequence.to_be_bytes());
        tcp.extend(1u32.to_be_bytes());
        tcp.extend([5 << 4, FLAGS_PSH_ACK]);
        tcp.extend(u16::MAX.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(segment);
        let mut pseudo = [&CLIENT[..], &SERVER, &[0, IP_TCP]].concat();
        pseudo.extend((tcp.len() as u16).to_be_bytes());
        let sum = checksum(&[&pseudo, &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());

        let mut ip = vec![0x45, 0];
        ip.extend((20 + tcp.len() as u16).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, IP_TCP, 0, 0]);
        ip.extend(CLIENT);
        ip.extend(SERVER);
        let sum = checksum(&[&ip]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());

        let ethernet = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &[8, 0]].concat();
        [ethernet, ip, tcp].concat()
    }
}

/// The Internet checksum (RFC 1071). Every piece but the last has an even length.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let word = |chunk: &[u8]| {
        u32::from(u16::from_be_bytes([chunk[0], chunk.get(1).copied().unwrap_or(0)]))
    };
    let mut sum: u32 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
