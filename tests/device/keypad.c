// A keypad or card reader: an input device of the kernel (uinput) that types what comes on standard input.
//
//   keypad NAME VENDOR PRODUCT
//
// Each word is a key code (linux/input-event-codes.h): 2 presses and releases KEY_1, r2 repeats it as a held key does. The
// device goes away with the program.
#include <fcntl.h>
#include <linux/uinput.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int device;

static void emit(int type, int code, int value) {
  struct input_event event = {.type = type, .code = code, .value = value};
  if (write(device, &event, sizeof event) != sizeof event) exit(1);
}

static void key(int code, int value) {
  emit(EV_KEY, code, value);
  emit(EV_SYN, SYN_REPORT, 0);
}

int main(int count, char **arguments) {
  if (count != 4) return 2;
  device = open("/dev/uinput", O_WRONLY);
  if (device < 0) return perror("/dev/uinput"), 1;
  ioctl(device, UI_SET_EVBIT, EV_KEY);
  for (int code = 1; code < KEY_MAX; code++) ioctl(device, UI_SET_KEYBIT, code);
  struct uinput_setup setup = {.id = {.bustype = BUS_USB, .version = 1}};
  setup.id.vendor = strtol(arguments[2], NULL, 16);
  setup.id.product = strtol(arguments[3], NULL, 16);
  strncpy(setup.name, arguments[1], sizeof setup.name - 1);
  if (ioctl(device, UI_DEV_SETUP, &setup) || ioctl(device, UI_DEV_CREATE)) return perror("uinput"), 1;
  char word[16];
  while (scanf("%15s", word) == 1) {
    int repeats = word[0] == 'r', code = atoi(word + repeats);
    key(code, 1);
    for (int again = 0; again < (repeats ? 5 : 0); again++) key(code, 2);
    key(code, 0);
    usleep(5000);
  }
  return 0;
}
