import{a,b}from"./chunk-IFNK4ZNS.js";import"./chunk-VJWSUOL3.js";import"./chunk-VFCMN2W3.js";import"./chunk-5OSR2VMQ.js";export{b as getWorker,a as jsonDefaults};
