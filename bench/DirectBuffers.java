/*
 * DirectBuffers.java: direct buffers of the JDK, for peer_java.c.
 *
 * Reads "SIZE COUNT" from standard input, allocates and drops so many buffers
 * of so many bytes, touches each page, collects, waits until all are freed,
 * and answers with a line.
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;

public class DirectBuffers {
    private static final int PAGE = 4096;
    private static final long FEW = 16; // the JDK's own

    private static BufferPoolMXBean pool() {
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(
                 BufferPoolMXBean.class)) {
            if (pool.getName().equals("direct"))
                return pool;
        }
        throw new IllegalStateException("no pool of direct buffers");
    }

    private static void drop(int size, long count) {
        for (long i = 0; i < count; i++) {
            ByteBuffer buffer = ByteBuffer.allocateDirect(size);

            for (int at = 0; at < size; at += PAGE)
                buffer.put(at, (byte) 1);
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in));
        BufferPoolMXBean pool = pool();
        String line;

        System.out.println("ready");
        while ((line = in.readLine()) != null) {
            String[] words = line.split(" ");

            drop(Integer.parseInt(words[0]), Long.parseLong(words[1]));
            System.gc();
            while (pool.getCount() > FEW)
                Thread.sleep(0, 100000);
            System.out.println("done");
        }
    }
}
