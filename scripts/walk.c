/* The least that reading a capture takes: maps a classic pcap file, walks its record headers and counts the TCP
   packets of mail ports. What another program takes above it is what it does with the packets. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_HEADER = 24, RECORD_HEADER = 16, ETHERNET = 14, IPV4 = 20, PORTS = 4 };

static unsigned big_endian(const unsigned char *octets) { return octets[0] << 8 | octets[1]; }

static int is_mail(unsigned port) {
  switch (port) {
  case 25: case 110: case 143: case 587: return 1;
  default: return 0;
  }
}

static int is_mail_packet(const unsigned char *frame, uint32_t len) {
  if (len < ETHERNET + IPV4 || big_endian(frame + 12) != 0x0800) return 0;
  const unsigned char *ip = frame + ETHERNET;
  uint32_t header = (ip[0] & 15) * 4;
  if (ip[0] >> 4 != 4 || ip[9] != 6 || len < ETHERNET + header + PORTS) return 0;
  return is_mail(big_endian(ip + header)) || is_mail(big_endian(ip + header + 2));
}

int main(int argc, char **argv) {
  struct stat about;
  int file = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (file < 0 || fstat(file, &about) != 0 || about.st_size < FILE_HEADER) {
    fprintf(stderr, "usage: walk FILE, a classic pcap file\n");
    return 2;
  }
  size_t size = about.st_size;
  const unsigned char *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (map == MAP_FAILED) {
    perror("walk");
    return 2;
  }
  uint32_t magic;
  memcpy(&magic, map, sizeof magic);
  /* Microseconds or nanoseconds, written on a machine of the same octet order. */
  if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) {
    fprintf(stderr, "walk: no classic pcap file of this machine's octet order\n");
    return 2;
  }
  unsigned long packets = 0, mail = 0;
  size_t at = FILE_HEADER;
  while (size - at >= RECORD_HEADER) {
    uint32_t len;
    memcpy(&len, map + at + 8, sizeof len);
    at += RECORD_HEADER;
    if (len > size - at) break;
    packets++;
    mail += is_mail_packet(map + at, len);
    at += len;
  }
  printf("%lu packets, %lu of mail\n", packets, mail);
  return 0;
}
